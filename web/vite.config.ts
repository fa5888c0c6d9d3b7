import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = process.env["PAGEWIRE"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/app/",
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the policy allows no data: fonts or scripts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    port: 3000,
    // Everything but the client's own files is the server's. It sees its own origin, so that the cookie counts.
    proxy: { "^/(?!app/)": { target: SERVER, changeOrigin: true, ws: true, headers: { origin: SERVER } } },
  },
  test: { include: ["src/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);

import { expect, test } from "vitest";
import { sha256 } from "./sha256";

test("the hash of a file is as the browser counts it, wherever its last block ends", async () => {
  for (const size of [0, 3, 55, 56, 63, 64, 1000, 1 << 20, (5 << 20) + 57]) {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 255);
    const digest = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    expect(await sha256(new Blob([bytes]))).toBe(digest.map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  }
});

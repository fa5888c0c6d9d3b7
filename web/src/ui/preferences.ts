// What this browser remembers about how I like it.
import { keep, recall } from "./storage";
import { createStore } from "./store";

export interface Preferences {
  theme: "system" | "light" | "dark";
  language: "system" | "en" | "de";
  shortcuts: boolean; // single keys
  typing: boolean; // others see that I am writing
  notifications: boolean;
  layout: "list" | "grid";
  strip: boolean;
  talk: boolean;
}

const KEY = "pagewire.preferences";
const USUAL: Preferences = {
  theme: "system",
  language: "system",
  shortcuts: true,
  typing: true,
  notifications: false,
  layout: "list",
  strip: true,
  talk: true,
};

function read(): Preferences {
  try {
    return { ...USUAL, ...(JSON.parse(recall(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return USUAL;
  }
}

export const preferences = createStore<Preferences>(read());

function showTheme(): void {
  const { theme } = preferences.get();
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function setPreference<Name extends keyof Preferences>(name: Name, value: Preferences[Name]): void {
  preferences.set((all) => ({ ...all, [name]: value }));
  keep(KEY, JSON.stringify(preferences.get()));
  showTheme();
}

window.addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  preferences.set(read());
  showTheme();
});
showTheme();

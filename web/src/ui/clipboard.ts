import { tell } from "./toasts";

/** Copies, and says so; over plain http too, where browsers keep the clipboard to themselves. */
export async function copy(text: string, done: string, html?: string): Promise<void> {
  try {
    const types = { "text/plain": text, ...(html ? { "text/html": html } : {}) };
    const blobs = Object.entries(types).map(([type, content]) => [type, new Blob([content], { type })]);
    await navigator.clipboard.write([new ClipboardItem(Object.fromEntries(blobs))]);
  } catch {
    copySelected(text, html);
  }
  tell(done);
}

function copySelected(text: string, html: string | undefined): void {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.className = "vh";
  area.value = text;
  const listen = (event: ClipboardEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData("text/plain", text);
    if (html) event.clipboardData?.setData("text/html", html);
  };
  document.body.append(area);
  area.select();
  document.addEventListener("copy", listen, { capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", listen, { capture: true });
  area.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
}

import { createStore } from "./store";
import { t } from "./words";

interface Toast {
  key: number;
  text: string;
  undo?: () => void;
}

const UNDO_MS = 5_000;
const toasts = createStore<Toast[]>([]);
let last = 0;

function remove(key: number): void {
  toasts.set((all) => all.filter((toast) => toast.key !== key));
}

export function tell(text: string): void {
  const key = ++last;
  toasts.set((all) => [...all.slice(-2), { key, text }]);
  setTimeout(() => remove(key), UNDO_MS);
}

/** Do *act* in five seconds, or when the tab is left, unless it is undone. */
export function tellWithUndo(text: string, act: () => void, undo: () => void): void {
  const key = ++last;
  const go = () => {
    clearTimeout(timer);
    window.removeEventListener("pagehide", go);
    remove(key);
    act();
  };
  const timer = setTimeout(go, UNDO_MS);
  window.addEventListener("pagehide", go);
  toasts.set((all) => [
    ...all.slice(-2),
    {
      key,
      text,
      undo: () => {
        clearTimeout(timer);
        window.removeEventListener("pagehide", go);
        remove(key);
        undo();
      },
    },
  ]);
}

export function Toasts() {
  const all = toasts.use();
  return (
    <div className="toasts" role="status">
      {all.map(({ key, text, undo }) => (
        <p key={key} className="toast">
          <span className="grow">{text}</span>
          {undo && (
            <button type="button" className="b b-link" onClick={undo}>
              {t.undo}
            </button>
          )}
        </p>
      ))}
    </div>
  );
}

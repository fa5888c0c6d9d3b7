// A picture that is gone when it leaves. Of an <img>, Chromium keeps what it decoded: half a gigabyte, of a long book.
import { useEffect, useRef, useState } from "react";

interface Props {
  src: string;
  alt: string; // empty if it shows what is written beside it
  className?: string;
  later?: boolean; // than others
  lazy?: boolean; // there only while it is near the screen, in a list
}

const NEAR = "400px";
const MUCH = 1.5; // as wide as shown, and a canvas made smaller by its style is jagged
const spare: HTMLCanvasElement[] = []; // a canvas keeps its memory until it is collected: they are used again
const listeners = new WeakMap<Element, (near: boolean) => void>();
const watcher = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => listeners.get(target)?.(isIntersecting)), {
  rootMargin: NEAR,
  scrollMargin: NEAR, // of the lists that scroll; who does not know it, shows them as they come into sight
} as IntersectionObserverInit);

/** Another `src` is painted over the picture that is there as soon as it is decoded. */
export function Picture({ src, alt, className, later = false, lazy = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [near, setNear] = useState(!lazy);
  useEffect(() => {
    const element = place.current!;
    if (!lazy) return;
    listeners.set(element, setNear);
    watcher.observe(element);
    return () => watcher.unobserve(element);
  }, [lazy]);
  useEffect(() => {
    if (!near) return;
    const lent = spare.pop() ?? document.createElement("canvas");
    lent.style.visibility = "hidden"; // it still shows what it was used for
    place.current!.append(lent);
    canvas.current = lent;
    return () => {
      lent.remove();
      lent.width = lent.height = 0;
      delete lent.dataset["shown"];
      spare.push(lent);
    };
  }, [near]);
  useEffect(() => {
    if (!near) return;
    const left = new AbortController();
    void paint(canvas.current!, src, { signal: left.signal, priority: later ? "low" : "auto" });
    return () => left.abort();
  }, [src, later, near]);
  return <div ref={place} className={className} {...(alt ? { role: "img", "aria-label": alt } : { "aria-hidden": true })} />;
}

function setSize(canvas: HTMLCanvasElement, { width, height }: ImageBitmap): void {
  canvas.width = width;
  canvas.height = height;
}

/** Fetch, decode and show; tried again until it works or nobody waits any more, if the server is away or busy. */
async function paint(canvas: HTMLCanvasElement, src: string, how: RequestInit & { signal: AbortSignal }): Promise<void> {
  for (let seconds = 1; !how.signal.aborted; seconds = Math.min(2 * seconds, 30)) {
    try {
      const answer = await fetch(src, how);
      if (answer.ok) {
        const whole = await createImageBitmap(await answer.blob());
        if (!canvas.dataset["shown"] && !how.signal.aborted) setSize(canvas, whole); // how large it is shown, its style says
        const pixels = Math.round(canvas.clientWidth * devicePixelRatio);
        const isMuch = pixels > 0 && whole.width > MUCH * pixels;
        const bitmap = isMuch ? await createImageBitmap(whole, { resizeWidth: pixels, resizeQuality: "high" }) : whole;
        if (isMuch) whole.close();
        if (!how.signal.aborted) {
          setSize(canvas, bitmap);
          canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
          canvas.dataset["shown"] = src;
          canvas.style.visibility = "";
        }
        bitmap.close();
        return;
      }
      if (answer.status < 500 && answer.status !== 429) return;
    } catch {
      // no answer, or half of one
    }
    await new Promise((done) => setTimeout(done, 1000 * seconds));
  }
}

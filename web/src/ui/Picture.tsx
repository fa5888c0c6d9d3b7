// A picture that is gone when it leaves. Of an <img>, Chromium keeps what it decoded: half a gigabyte, of a long book.
import { useEffect, useRef } from "react";

interface Props {
  src: string;
  alt: string;
  later?: boolean; // than others
}

const spare: HTMLCanvasElement[] = []; // a canvas keeps its memory until it is collected: they are used again

/** Another `src` is painted over the picture that is there as soon as it is decoded. */
export function Picture({ src, alt, later = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
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
  }, []);
  useEffect(() => {
    const left = new AbortController();
    void paint(canvas.current!, src, { signal: left.signal, priority: later ? "low" : "auto" });
    return () => left.abort();
  }, [src, later]);
  return <div ref={place} role="img" aria-label={alt} />;
}

/** Fetch, decode and show; tried again until it works or nobody waits any more, if the server is away or busy. */
async function paint(canvas: HTMLCanvasElement, src: string, how: RequestInit & { signal: AbortSignal }): Promise<void> {
  for (let seconds = 1; !how.signal.aborted; seconds = Math.min(2 * seconds, 30)) {
    try {
      const answer = await fetch(src, how);
      if (answer.ok) {
        const bitmap = await createImageBitmap(await answer.blob());
        if (!how.signal.aborted) {
          canvas.width = bitmap.width;
          canvas.height = bitmap.height;
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

// Which elements of a scrolling box are near what is seen: those alone have a picture, so that a long book never fills the memory.
import { type RefObject, useEffect, useState } from "react";

export type Watch = (element: Element, tell: (near: boolean) => void) => () => void;

/** Each element that is watched is told for itself, so that a thousand others need not be drawn again. */
export function useNearby(root: RefObject<Element | null>, margin: string): Watch {
  const [watch] = useState(() => {
    const told = new Map<Element, (near: boolean) => void>();
    let observer: IntersectionObserver | undefined;
    return (element: Element, tell: (near: boolean) => void) => {
      observer ??= new IntersectionObserver(
        (entries) => {
          for (const { target, isIntersecting } of entries) told.get(target)?.(isIntersecting);
        },
        { root: root.current, rootMargin: margin },
      );
      told.set(element, tell);
      observer.observe(element);
      return () => {
        told.delete(element);
        observer?.unobserve(element);
      };
    };
  });
  return watch;
}

export function useNear(element: RefObject<Element | null>, watch: Watch): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => watch(element.current!, setNear), [element, watch]);
  return near;
}

/** The `ref` of a picture: one that leaves is let go at once, its data would stay until the memory is tidied up. */
export const letGo = (picture: HTMLImageElement) => () => picture.removeAttribute("src");

import { presence } from "../live/cache";

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toLocaleUpperCase();
}

interface Props {
  id: number;
  name: string;
  size?: "s" | "l";
  online?: boolean;
}

/** Initials in a colour of the person's own; others are named beside it. */
export function Face({ id, name, size, online }: Props) {
  const colour = id % 5 ? ` c${(id % 5) + 1}` : "";
  return (
    <span className={`face${colour}${size ? ` face-${size}` : ""}${online ? " on" : ""}`} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

/** What is known of a person's presence: the last frame, else what the list said. */
export function usePresence(person: { id: number; online?: boolean; last_seen_at?: string | null } | undefined) {
  const all = presence.use();
  if (!person) return { online: false, last_seen_at: null };
  return all[person.id] ?? { online: person.online ?? false, last_seen_at: person.last_seen_at ?? null };
}

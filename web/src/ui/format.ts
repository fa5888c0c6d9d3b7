// Dates and numbers as the reader's language writes them.
import { language } from "./words";

const cached = new Map<string, Intl.DateTimeFormat | Intl.NumberFormat>();

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language() + JSON.stringify(options);
  let format = cached.get(key);
  if (!format) cached.set(key, (format = new Intl.DateTimeFormat(language(), options)));
  return format as Intl.DateTimeFormat;
}

export function number(value: number): string {
  return value.toLocaleString(language());
}

export function bytes(size: number): string {
  const [value, unit] =
    size < 1e6 ? [size && Math.max(1, Math.round(size / 1e3)), "kilobyte"] : size < 1e9 ? [size / 1e6, "megabyte"] : [size / 1e9, "gigabyte"];
  return new Intl.NumberFormat(language(), {
    style: "unit",
    unit: unit as string,
    unitDisplay: "short",
    maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value as number);
}

export function time(moment: string | Date): string {
  return dates({ hour: "2-digit", minute: "2-digit" }).format(new Date(moment));
}

/** How many midnights ago. */
export function daysAgo(moment: string | Date): number {
  const day = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  return day(new Date()) - day(new Date(moment));
}

function named(days: number): string {
  const word = new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(-days, "day");
  return word.charAt(0).toLocaleUpperCase(language()) + word.slice(1);
}

/** Today's time, yesterday, a weekday, a date: as short as it stays clear. */
export function when(moment: string | Date): string {
  const days = daysAgo(moment);
  const date = new Date(moment);
  if (days <= 0) return time(date);
  if (days === 1) return named(1);
  if (days < 7) return dates({ weekday: "short" }).format(date);
  if (date.getFullYear() === new Date().getFullYear()) return dates({ day: "numeric", month: "short" }).format(date);
  return dates({ day: "numeric", month: "short", year: "numeric" }).format(date);
}

/** The day above its messages. */
export function day(moment: string | Date): string {
  const days = daysAgo(moment);
  if (days <= 1) return named(Math.max(days, 0));
  const year = new Date(moment).getFullYear() === new Date().getFullYear() ? undefined : ("numeric" as const);
  return dates({ weekday: "long", day: "numeric", month: "long", year }).format(new Date(moment));
}

export function fullDate(moment: string | Date): string {
  return dates({ dateStyle: "long", timeStyle: "short" }).format(new Date(moment));
}

export function shortName(name: string): string {
  return name.split(/\s+/)[0] ?? name;
}

export function names(list: string[]): string {
  return new Intl.ListFormat(language()).format(list);
}

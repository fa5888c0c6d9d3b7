// How a new message shows outside of its conversation: the title, the icon, and a notification where I asked for them.
import type { Message } from "../api";
import { preferences } from "../ui/preferences";
import { unread } from "./cache";

let place = "Pagewire";

function show(): void {
  const count = unread.get();
  document.title = (count ? `(${count > 99 ? "99+" : count}) ` : "") + place;
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  if (icon) icon.href = count ? drawIcon(count) : "/app/icon.svg";
}

const drawn = new Map<string, string>();
const picture = new Image();
picture.src = "/app/icon.svg";

function drawIcon(count: number): string {
  const label = count > 9 ? "9+" : String(count);
  const known = drawn.get(label);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d");
  if (!pen || !picture.complete) return "/app/icon.svg";
  pen.drawImage(picture, 0, 0, 56, 64);
  pen.fillStyle = "#b0261c";
  pen.beginPath();
  pen.arc(43, 43, 21, 0, 7);
  pen.fill();
  pen.fillStyle = "#fff";
  pen.font = "bold 30px sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(label, 43, 45);
  const address = canvas.toDataURL();
  drawn.set(label, address);
  return address;
}

/** The screen's name, before " · Pagewire". */
export function nameScreen(name: string): void {
  place = name ? `${name} · Pagewire` : "Pagewire";
  show();
}

unread.subscribe(show);

/** A message came; said outside only while nobody looks, and only if it was asked for in the settings. */
export function announce(message: Message): void {
  if (!preferences.get().notifications || document.hasFocus()) return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const notification = new Notification(message.sender_name, {
    body: message.content || message.attachment?.filename || "",
    icon: "/app/icon.svg",
    tag: `pagewire-${message.sender_id}`, // several tabs show one
    silent: true,
  });
  notification.onclick = () => {
    window.focus();
    location.assign(`/app/messages/${message.sender_id}`);
  };
}

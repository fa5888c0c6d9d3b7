import { Megaphone, X } from "lucide-react";
import { lastAnnouncement } from "../live/cache";
import { t } from "./words";

/** What an admin said to everybody, until it is put away. */
export function Announcement() {
  const said = lastAnnouncement.use();
  if (!said) return null;
  return (
    <div className="announcement" role="status">
      <Megaphone className="i i-s" />
      <p className="grow">
        {said.sender_name && <b>{said.sender_name}: </b>}
        {said.content}
      </p>
      <button type="button" className="b b-0 b-s b-i" aria-label={t.close} onClick={() => lastAnnouncement.set(null)}>
        <X className="i i-s" />
      </button>
    </div>
  );
}

// Conversations, and the one that is open.
import { MessageSquarePlus } from "lucide-react";
import { useParams } from "wouter";
import { session } from "../live/session";
import { Empty, useScreenName, useWide } from "../ui/parts";
import { t } from "../ui/words";
import { Conversation } from "./Conversation";
import { Conversations } from "./Conversations";
import s from "./talk.module.css";

export default function Messages() {
  const { id } = useParams<{ id?: string }>();
  const wide = useWide();
  const open = id === undefined ? null : Number(id);
  const now = session.use();
  useScreenName(open === null ? t.rail.messages : null);
  return (
    <main className={s.chat}>
      {(wide || open === null) && <Conversations open={open} />}
      {open !== null && now.state === "in" && now.me.id !== open && Number.isSafeInteger(open) ? (
        <Conversation key={open} id={open} />
      ) : (
        wide && (
          <section className={s.talks}>
            <Empty icon={<MessageSquarePlus className="i" />} title={t.talk.choose}>
              <p>{t.talk.chooseHow}</p>
            </Empty>
          </section>
        )
      )}
    </main>
  );
}

import { Link } from "wouter";
import { useMe } from "../live/session";
import { t } from "./words";

/** Nobody to talk with yet: an admin can change that at once. */
export function Alone() {
  const me = useMe();
  return (
    <>
      {t.share.alone}{" "}
      {me.is_admin && (
        <Link className="b b-link" href="/admin">
          {t.admin.make}
        </Link>
      )}
    </>
  );
}

// What Pagewire is about, drawn: a page, the words that were found on it, and what a colleague says about them.
import { CornerDownRight } from "lucide-react";
import { t } from "../ui/words";
import s from "./door.module.css";

const ROWS = [
  ["North wing", "412", "318", "22.8 %"],
  ["South wing", "388", "341", "12.1 %"],
  ["Library", "204", "139", "31.9 %"],
  ["Workshop", "167", "150", "10.2 %"],
  ["Gym", "296", "231", "22.0 %"],
];

export function Scene() {
  return (
    <figure className={s.scene} aria-hidden="true">
      <div className={`${s.set}`}>
        <div className={`paper ${s.behind}`}>
          <div className={s.banner}>Table 5 · Heat used by building, 2024 to 2026</div>
          <table>
            <tbody>
              {Array.from({ length: 22 }, (_, row) => (
                <tr key={row}>
                  <td>Building {row + 1}</td>
                  {[0, 1, 2, 3].map((column) => (
                    <td key={column}>{(((row + 3) * (column + 7) * 7919) % 9000) + 1000}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div className={`paper ${s.front}`}>
          <h3>2&ensp;What insulation saves</h3>
          <h4>2.1&ensp;Measured over two winters</h4>
          <p>
            The five buildings were insulated in the summer of 2025. Their meters were read on the first of each month,
            before and after, and the figures below are corrected for the weather by degree days.
          </p>
          <p>
            To tell insulation from habit, the thermostats were left as they were, and each building is compared with
            its own two winters before. Where a wing was closed for a month, that month counts in neither.
          </p>
          <ol>
            <li>Read the meter of each building.</li>
            <li>Correct for degree days.</li>
            <li>Compare with the mean of two winters.</li>
            <li>Leave out months with building work.</li>
          </ol>
          <p>
            The result is clear: <mark className={s.found}>heating costs</mark> fell by a fifth on the whole, most in
            the library, whose windows had been the oldest, least in the workshop, whose doors stand open half the day.
          </p>
          <p>
            At today’s prices the work has paid for itself after nine winters; with the grant it is six. The roof of the
            gym, done last, is not in these figures yet.
          </p>
          <table>
            <tbody>
              {ROWS.map((row) => (
                <tr key={row[0]}>
                  {row.map((cell) => (
                    <td key={cell}>{cell}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          <p className={s.folio}>3</p>
        </div>
        <svg className={s.wire} viewBox="0 0 676 800" fill="none">
          <path d="M260 356 C 340 356 300 470 372 500" stroke="currentColor" strokeWidth="2.5" strokeLinecap="round" />
          <circle cx="260" cy="356" r="4.5" fill="currentColor" />
        </svg>
        <div className={s.say1}>
          <span className="face c2">BO</span>
          <div className="m">
            <div>
              <p className="who">
                <b>Ben Okafor</b>
                <time>10:41</time>
              </p>
              <span className="at now">
                <CornerDownRight className="i i-s" />
                <b>{t.page(4)}</b>
                <q>heating costs fell by a fifth on the whole</q>
              </span>
              <p>{t.door.scene}</p>
            </div>
          </div>
        </div>
      </div>
      <figcaption>{t.door.caption}</figcaption>
    </figure>
  );
}

import { type InputHTMLAttributes, useId } from "react";

interface Props extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange"> {
  label: string;
  value: string;
  change: (value: string) => void;
  note?: string | undefined;
  bad?: boolean;
}

/** A labelled field of a form, with a line below it whose room is always there. */
export function TextField({ label, value, change, note = "", bad, ...rest }: Props) {
  const id = useId();
  return (
    <div className="f">
      <label htmlFor={id}>{label}</label>
      <span className="field">
        <input id={id} value={value} onChange={(event) => change(event.target.value)} aria-describedby={`${id}n`} aria-invalid={bad || undefined} {...rest} />
      </span>
      <span className={`note${bad ? " err" : ""}`} id={`${id}n`} role={bad ? "alert" : undefined}>
        {note}
      </span>
    </div>
  );
}

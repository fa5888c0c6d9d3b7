import { useState } from "react";
import { Toggle } from "../ui/parts";
import { preferences, setPreference } from "../ui/preferences";
import { t } from "../ui/words";
import s from "./you.module.css";

export function Look() {
  const { theme, language, shortcuts, typing, notifications } = preferences.use();
  const [refused, setRefused] = useState(false);
  const askToNotify = async (on: boolean) => {
    const allowed = !on || ("Notification" in window && (await Notification.requestPermission()) === "granted");
    setRefused(!allowed);
    setPreference("notifications", on && allowed);
  };
  return (
    <div className={s.form}>
      <h2>{t.you.parts.look}</h2>
      <fieldset>
        <legend>{t.you.theme}</legend>
        <div className="seg" role="group" aria-label={t.you.theme}>
          {(["system", "light", "dark"] as const).map((one) => (
            <button key={one} type="button" aria-pressed={theme === one} onClick={() => setPreference("theme", one)}>
              {t.you.themes[one]}
            </button>
          ))}
        </div>
      </fieldset>
      <fieldset>
        <legend>{t.you.language}</legend>
        <div className="seg" role="group" aria-label={t.you.language}>
          {(["system", "en", "de"] as const).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={language === one}
              onClick={() => {
                setPreference("language", one);
                location.reload();
              }}
            >
              {t.you.languages[one]}
            </button>
          ))}
        </div>
      </fieldset>
      <div className={s.toggles}>
        <Toggle on={shortcuts} change={(on) => setPreference("shortcuts", on)}>
          {t.you.keyboard}
        </Toggle>
        <Toggle on={typing} change={(on) => setPreference("typing", on)}>
          {t.you.typing}
        </Toggle>
        <Toggle on={notifications} change={(on) => void askToNotify(on)}>
          {t.you.notify}
        </Toggle>
        {refused && <p className="small err" role="alert">{t.you.notifyRefused}</p>}
      </div>
    </div>
  );
}

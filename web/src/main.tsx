import "@fontsource-variable/inter/wght.css";
import "./ui/tokens.css";
import "./ui/ui.css";
import { createRoot } from "react-dom/client";
import { Root } from "./Root";
import { begin } from "./live/session";
import { chooseLanguage } from "./ui/words";

void begin(); // the one question of the start is under way while the language loads
await chooseLanguage();
createRoot(document.getElementById("root")!).render(<Root />);

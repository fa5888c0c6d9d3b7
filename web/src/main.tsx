import "@fontsource-variable/inter/wght.css";
import "./ui/tokens.css";
import "./ui/ui.css";
import { createRoot } from "react-dom/client";
import { Root } from "./Root";
import { USER, begin } from "./live/session";
import { loadAhead } from "./screens";
import { recall } from "./ui/storage";
import { chooseLanguage } from "./ui/words";

if (recall(USER) !== null) loadAhead();
void begin(); // the one question of the start is under way while the language loads
await chooseLanguage();
createRoot(document.getElementById("root")!).render(<Root />);

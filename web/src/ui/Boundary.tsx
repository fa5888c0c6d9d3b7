import { Component, type ReactNode } from "react";
import { Empty } from "./parts";
import { t } from "./words";

interface Props {
  place: string; // another place is another try
  children: ReactNode;
}

interface State {
  place: string;
  failed: boolean;
  unanswered: boolean; // nor does the server say anything
}

/** A screen that fails says so, and leaves the rest as it is. */
export class Boundary extends Component<Props, State> {
  override state: State = { place: this.props.place, failed: false, unanswered: false };

  static getDerivedStateFromProps({ place }: Props, was: State) {
    return place === was.place ? null : { place, failed: false };
  }

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidMount() {
    window.addEventListener("online", this.awake);
  }

  override componentWillUnmount() {
    window.removeEventListener("online", this.awake);
  }

  awake = () => this.state.failed && this.state.unanswered && void this.ask(() => location.reload());

  override componentDidCatch() {
    void this.ask(() => {});
  }

  /** A reload where nobody answers would leave nothing of the page. */
  async ask(answered: () => void) {
    try {
      const answer = await fetch("/app/", { method: "HEAD", cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText); // a proxy's own answer
      this.setState({ unanswered: false }, answered);
    } catch {
      this.setState({ unanswered: true });
    }
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="plain">
        <Empty top title={this.state.unanswered ? t.noAnswer : t.wentWrong}>
          <button type="button" className="b" onClick={() => void this.ask(() => location.reload())}>
            {t.tryAgain}
          </button>
        </Empty>
      </main>
    );
  }
}

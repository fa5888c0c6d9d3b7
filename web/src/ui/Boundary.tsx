import { Component, type ReactNode } from "react";
import { Empty } from "./parts";
import { t } from "./words";

interface Props {
  place: string; // another place is another try
  children: ReactNode;
}

/** A screen that fails says so, and leaves the rest as it is. */
export class Boundary extends Component<Props, { failedAt: string | null }> {
  override state = { failedAt: null };

  static getDerivedStateFromError() {
    return { failedAt: location.pathname };
  }

  override render() {
    if (this.state.failedAt !== null && this.state.failedAt === `/app${this.props.place}`) {
      return (
        <main className="plain">
          <Empty top title={t.wentWrong}>
            <button type="button" className="b" onClick={() => location.reload()}>
              {t.tryAgain}
            </button>
          </Empty>
        </main>
      );
    }
    return this.props.children;
  }
}

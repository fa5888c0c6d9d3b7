import { X } from "lucide-react";
import type { ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useBackCloses } from "./address";
import { t } from "./words";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  alert?: boolean;
}

/** A dialog over the page; Esc, Back and a press beside it close it, focus goes back to where it was. */
export function Dialog({ title, onClose, children, wide, alert }: Props) {
  useBackCloses(onClose);
  return (
    <ModalOverlay className="veil" isOpen isDismissable={!alert} onOpenChange={(open) => !open && onClose()}>
      <Modal className={`modal${wide ? " wide" : ""}`}>
        <AriaDialog className="dialog" role={alert ? "alertdialog" : "dialog"}>
          <header className="row">
            <Heading slot="title" level={2} className="grow">
              {title}
            </Heading>
            <button type="button" className="b b-0 b-s b-i" aria-label={t.close} onClick={onClose}>
              <X className="i i-s" />
            </button>
          </header>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

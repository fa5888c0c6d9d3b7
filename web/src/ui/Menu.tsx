import { Check } from "lucide-react";
import type { ReactNode } from "react";
import { Button, Menu as AriaMenu, MenuItem, MenuTrigger, Popover, Separator } from "react-aria-components";

export interface Choice {
  key: string;
  label: string;
  icon?: ReactNode;
  danger?: boolean;
  href?: string;
  download?: boolean;
  act?: () => void;
}

interface Props {
  label: string; // of the button
  children: ReactNode;
  className?: string;
  choices: (Choice | null)[]; // null is a line between two
  chosen?: string; // of a menu that picks one
  onOpenChange?: (open: boolean) => void;
}

export function Menu({ label, children, className = "b b-0 b-s b-i", choices, chosen, onOpenChange }: Props) {
  return (
    <MenuTrigger {...(onOpenChange ? { onOpenChange } : {})}>
      <Button className={className} aria-label={label}>
        {children}
      </Button>
      <Popover className="pop" placement="bottom end">
        <Choices label={label} choices={choices} chosen={chosen} />
      </Popover>
    </MenuTrigger>
  );
}

export function Choices({ label, choices, chosen, none }: Pick<Props, "label" | "choices"> & { chosen: string | undefined; none?: string }) {
  return (
    <AriaMenu
      className="menu"
      aria-label={label}
      {...(chosen === undefined ? {} : { selectionMode: "single" as const, selectedKeys: [chosen] })}
      {...(none === undefined ? {} : { renderEmptyState: () => <p className="menu-none">{none}</p> })}
      onAction={(key) => choices.find((choice) => choice?.key === key)?.act?.()}
    >
      {choices.map((choice, index) =>
        choice === null ? (
          <Separator key={`line${index}`} className="menu-line" />
        ) : (
          <MenuItem
            key={choice.key}
            id={choice.key}
            textValue={choice.label}
            className={`menu-item${choice.danger ? " danger" : ""}`}
            {...(choice.href ? { href: choice.href, ...(choice.download ? { download: true } : {}) } : {})}
          >
            {choice.icon}
            <span className="grow">{choice.label}</span>
            {chosen === choice.key && <Check className="i i-s" />}
          </MenuItem>
        ),
      )}
    </AriaMenu>
  );
}

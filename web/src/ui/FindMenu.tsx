import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { useState } from "react";
import { Autocomplete, Button, Input, MenuTrigger, Popover, SearchField } from "react-aria-components";
import { Choices } from "./Menu";
import { sayError, useDebounced } from "./parts";

interface Props {
  label: string; // of the button
  shown: string; // what is chosen now
  any: string; // to choose none of them
  find: string; // label of the field
  chosen: number; // 0 is any
  choose: (id: number) => void;
  list: (words: string, signal: AbortSignal) => Promise<{ id: number; name: string }[]>;
  none: (words: string) => string;
}

/** A menu with a search field, for lists too long to show whole. */
export function FindMenu({ label, shown, ...list }: Props) {
  return (
    <MenuTrigger>
      <Button className="b b-0 b-s" aria-label={`${label}: ${shown}`}>
        <span className="cut short">{shown}</span>
        <ChevronDown className="i i-s" />
      </Button>
      <Popover className="pop" placement="bottom end">
        <List label={label} {...list} />
      </Popover>
    </MenuTrigger>
  );
}

function List({ label, any, find, chosen, choose, list, none }: Omit<Props, "shown">) {
  const [words, setWords] = useState("");
  const asked = useDebounced(words.trim(), 200);
  const found = useQuery({
    queryKey: ["menu", label, asked],
    queryFn: ({ signal }) => list(asked, signal),
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
  const all = found.data ?? [];
  const choices = (asked ? all : [{ id: 0, name: any }, ...all]).map(({ id, name }) => ({ key: String(id), label: name, act: () => choose(id) }));
  return (
    <Autocomplete inputValue={words} onInputChange={setWords} disableAutoFocusFirst>
      <SearchField autoFocus aria-label={find} className="menu-find">
        <Input className="menu-words" placeholder={find} />
      </SearchField>
      <Choices label={label} choices={choices} chosen={String(chosen)} none={found.isSuccess && !found.isPlaceholderData ? none(asked) : ""} />
      {found.isError && <p className="menu-none" role="alert">{sayError(found.error)}</p>}
    </Autocomplete>
  );
}

import { useInfiniteQuery } from "@tanstack/react-query";
import { listConversations } from "../api";
import { upToDate } from "./cache";

/** Whom I talk with, the newest first. */
export function useConversations(enabled = true) {
  return useInfiniteQuery({
    queryKey: ["conversations"],
    queryFn: ({ pageParam }) => upToDate(() => listConversations(pageParam)),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    enabled,
  });
}

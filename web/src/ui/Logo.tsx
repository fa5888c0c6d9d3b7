export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 30 30" fill="none" aria-hidden="true">
      <rect x="3.5" y="2.5" width="17" height="25" rx="3.5" fill="currentColor" />
      <path d="M8 9.5h8" stroke="var(--ground)" strokeWidth="2" strokeLinecap="round" />
      <path d="M8 15h7.5c6 0 3.5-7.2 9.3-7.2" stroke="var(--ground)" strokeWidth="5" />
      <path d="M8 15h7.5" stroke="var(--ground)" strokeWidth="2" strokeLinecap="round" />
      <path d="M15.5 15c6 0 3.5-7.2 9.3-7.2" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
      <circle cx="26" cy="7.7" r="2.4" fill="currentColor" />
      <path d="M8 20.5h6" stroke="var(--ground)" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}

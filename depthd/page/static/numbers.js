// Numbers as the readers of this page write them: 1.234 is more than a thousand to some.
const write = (x, how) => x.toLocaleString(document.documentElement.lang, { useGrouping: false, ...how });

export const places = (x, count) => write(x, { minimumFractionDigits: count, maximumFractionDigits: count });
export const digits = (x, count) => write(x, { minimumSignificantDigits: count, maximumSignificantDigits: count });

// Numbers as people read them: the same rules as format.rs has; format_cases.json holds both to them.
const DASH = "–";
const GAP = "\u202f";

const threeDigits = (value) => value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);

const grouped = (value) => String(Math.round(value)).replace(/\B(?=\d{3}$)/, ",");

// A count or a rate; null is what is not known.
function count(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 9999.5) return Number.isInteger(value) ? grouped(value) : value < 99.95 ? threeDigits(value) : grouped(value);
  const rounded = Number(value.toPrecision(3));
  const [unit, prefix] = rounded < 1e6 ? [1e3, "k"] : rounded < 1e9 ? [1e6, "M"] : rounded < 1e12 ? [1e9, "G"] : [1e12, "T"];
  return threeDigits(rounded / unit) + prefix;
}

// A short time in seconds.
function time(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return DASH;
  if (seconds === 0) return `0${GAP}s`;
  if (seconds < 999.5e-9) return `<1${GAP}µs`;
  if (seconds < 999.5e-6) return `${threeDigits(seconds * 1e6)}${GAP}µs`;
  if (seconds < 999.5e-3) return `${threeDigits(seconds * 1e3)}${GAP}ms`;
  return seconds < 59.95 ? `${threeDigits(seconds)}${GAP}s` : duration(seconds);
}

// A long time in seconds, in its two largest units.
function duration(seconds) {
  const whole = Math.floor(seconds + 1e-9);
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
  const two = (greater, unit, lesser, of) => `${greater}${GAP}${unit}` + (lesser > 0 ? ` ${lesser}${GAP}${of}` : "");
  if (minutes === 0) return `${whole}${GAP}s`;
  if (hours === 0) return two(minutes, "min", whole % 60, "s");
  return days === 0 ? two(hours, "h", minutes % 60, "min") : two(days, "d", hours % 24, "h");
}

// A part of 1.
function share(ratio) {
  if (ratio === null || ratio === undefined || Number.isNaN(ratio)) return DASH;
  const percent = 100 * ratio;
  if (percent === 0) return "0%";
  return percent < 0.1 ? "<0.1%" : `${percent.toFixed(percent < 9.95 ? 1 : 0)}%`;
}

const words = (label) => label.replaceAll("_", " ");

// An address and port as in a URL.
const endpoint = ({ address, port }) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

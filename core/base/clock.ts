/**
 * Time as an argument. Whatever needs the time of day takes a `Clock`, so that tests and simulators
 * turn it by hand and nothing in the PURE floors reads a global.
 */

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Clock = () => number;

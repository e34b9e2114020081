/** The version of the program, in the sense of semver.org. */
export const version = "0.1.0";

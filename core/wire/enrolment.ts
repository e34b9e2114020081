/**
 * What a peer is given to join a site: `{code, site, url, noise_key, expires}`. The code is a 16-byte
 * secret that works once; the session's psk is derived from it.
 */
import { fromBase64url, toBase64url } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import { type Id, parseId } from "../base/id.ts";

export interface Enrolment {
  readonly code: Uint8Array;
  readonly site: Id;
  /** Where the site answers: http(s):// or mqtt(s)://. */
  readonly url: string;
  readonly noiseKey: Uint8Array;
  /** Unix milliseconds. */
  readonly expires: number;
}

/** The JSON of `edgeward admin enrol --json`: bytes in base64url, `expires` in RFC 3339. */
export interface EnrolmentJson {
  readonly code: string;
  readonly site: string;
  readonly url: string;
  readonly noise_key: string;
  readonly expires: string;
}

export class EnrolmentError extends CodedError<"enrolment_malformed"> {
  override readonly name = "EnrolmentError";
}

export function enrolmentToJson(enrolment: Enrolment): EnrolmentJson {
  return {
    code: toBase64url(enrolment.code),
    site: enrolment.site,
    url: enrolment.url,
    noise_key: toBase64url(enrolment.noiseKey),
    expires: new Date(enrolment.expires).toISOString(),
  };
}

/** @throws EnrolmentError "enrolment_malformed" */
export function enrolmentFromJson(text: string): Enrolment {
  try {
    const { code, site, url, noise_key, expires } = JSON.parse(text) as EnrolmentJson;
    if ([code, url, noise_key, expires].some((one) => typeof one !== "string")) throw malformed();
    const enrolment = {
      code: fromBase64url(code),
      site: parseId(site),
      url,
      noiseKey: fromBase64url(noise_key),
      expires: Date.parse(expires),
    };
    if (
      enrolment.code.length === 16 && enrolment.noiseKey.length === 32 &&
      new Date(enrolment.expires).toISOString() === expires &&
      /^(https?|mqtts?|wss?):\/\//.test(enrolment.url)
    ) return enrolment;
  } catch { /* said below, without quoting the code */ }
  throw malformed();
}

function malformed(): EnrolmentError {
  return new EnrolmentError("enrolment_malformed", "Cannot read the enrolment code", {
    hint: "give the whole JSON line that `edgeward admin enrol KIND ID --json` printed",
  });
}

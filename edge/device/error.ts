/** What can go wrong on a device, by what its owner can do about it. */
import { CodedError } from "../../core/base/errors.ts";
import type { GatewayOutcome } from "./gateway_link.ts";

export type DeviceErrorCode =
  | "usage" // a file or a folder that the command line names, or what it asks for, cannot be
  | "refused" // the gateways have said no
  | "unreachable" // too few gateways have answered
  | "answers_bad" // too many gateways have given answers that are none
  | "roster_disputed" // the gateways do not agree on who they are
  | "volume_foreign" // sealed by another device, or its header was altered
  | "volume_unwritable"
  | "device_damaged"
  | "device_busy"
  | "command_failed";

export class DeviceError extends CodedError<DeviceErrorCode> {
  override readonly name = "DeviceError";
}

/** It failed because of what gateways did, or did not do. */
export class GatewaysError extends DeviceError {
  readonly gateways: readonly GatewayOutcome[];

  constructor(
    code: DeviceErrorCode,
    message: string,
    options: { hint: string; gateways: readonly GatewayOutcome[] },
  ) {
    super(code, message, options);
    this.gateways = options.gateways;
  }
}

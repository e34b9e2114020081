/** `edgeward simulate …`: plays the devices of a running site, through its public doors. */
import type { Command } from "commander";
import { configureMeters } from "./simulate_meters.ts";
import { configureSensor } from "./simulate_sensor.ts";

export function configure(command: Command): void {
  command.description("Play the devices of a site.");
  configureMeters(command.command("meters"));
  configureSensor(command.command("sensor"));
}

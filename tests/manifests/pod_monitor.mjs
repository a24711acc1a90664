// Validates a PodMonitor (JSON on standard input) against the types of the Prometheus operator; run beside node_modules.
import { readFileSync } from "node:fs";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";

new PodMonitor(JSON.parse(readFileSync(0, "utf8"))).validate();

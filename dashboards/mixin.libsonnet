// For those who build their monitoring with jsonnet: the same dashboards, rules and alerts as the files beside it.
// With runbooks of your own: (import 'mixin.libsonnet') + { _config+:: { runbookURLPrefix: 'https://wiki/runbooks/' } }.
{
  _config:: {
    // What a runbook's address begins with, its slash included; null: as in alerts.yaml.
    runbookURLPrefix: null,
  },

  grafanaDashboards+:: {
    'dbwire-fleet.json': import 'dbwire-fleet.json',
    'dbwire-mysql.json': import 'dbwire-mysql.json',
    'dbwire-sockets.json': import 'dbwire-sockets.json',
    'dbwire-exporter.json': import 'dbwire-exporter.json',
  },

  local groups(text) = std.parseYaml(text).groups,
  prometheusRules+:: {
    groups: groups(importstr '../deploy/prometheus/rules.yaml') + groups(importstr '../deploy/prometheus/fleet.yaml'),
  },

  local prefix = self._config.runbookURLPrefix,
  local alerts = std.parseYaml(importstr '../deploy/prometheus/alerts.yaml'),
  prometheusAlerts+:: alerts {
    groups: [
      group {
        rules: [
          rule { annotations+: if prefix == null then {} else { runbook_url: prefix + rule.alert + '.md' } }
          for rule in group.rules
        ],
      }
      for group in alerts.groups
    ],
  },
}

// For those who build their monitoring with jsonnet: the same dashboards, rules and alerts as the files beside it.
// With a runbook address of your own: (import 'mixin.libsonnet') + { _config+:: { runbooks: 'https://wiki/…' } }.
{
  _config:: {
    runbooks: 'https://github.com/dbwire/dbwire_exporter/blob/main/docs/runbooks',
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

  local runbooks = self._config.runbooks,
  local alerts = std.parseYaml(importstr '../deploy/prometheus/alerts.yaml'),
  prometheusAlerts+:: alerts {
    groups: [
      group {
        rules: [
          rule { annotations+: { runbook_url: '%s/%s.md' % [runbooks, rule.alert] } }
          for rule in group.rules
        ],
      }
      for group in alerts.groups
    ],
  },
}

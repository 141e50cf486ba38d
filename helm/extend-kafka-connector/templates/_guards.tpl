{{/*
What would fail only in production is refused here, with the way out. Every guard has a test.
*/}}
{{- define "connector.guards" -}}
{{- if not .Values.secrets.existingSecret -}}
{{- fail "secrets.existingSecret is empty: make a Secret with the key extend-api-key (and a Kafka password, if the brokers want one), and name it here." -}}
{{- end -}}
{{- $config := include "connector.config" . | fromYaml -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "configText is no YAML mapping: %s" $config.Error) -}}
{{- end -}}
{{- if not $config.name -}}
{{- fail "config.name is empty: it names the consumer group, the journal and signals topics, and every tag. Choose one per connector and keep it." -}}
{{- end -}}
{{- if not (dig "kafka" "bootstrap_servers" "" $config) -}}
{{- fail "config.kafka.bootstrap_servers is empty: name at least one broker, e.g. kafka-bootstrap.kafka:9092." -}}
{{- end -}}
{{- if not $config.routes -}}
{{- fail "config.routes is empty: name at least one, e.g. --set config.routes.documents.run=extract." -}}
{{- end -}}
{{- if not .Values.configText -}}
{{- $topics := dict -}}
{{- range $name, $route := $config.routes -}}
{{- $topic := $name -}}
{{- if kindIs "map" $route -}}{{- $topic = default $name $route.topic -}}{{- end -}}
{{- if hasKey $topics $topic -}}
{{- fail (printf "config.routes.%s and config.routes.%s share the topic %s. The first route of a topic wins, and Helm does not keep the order of keys: remove one, or write the configuration into configText." (get $topics $topic) $name $topic) -}}
{{- end -}}
{{- $_ := set $topics $topic $name -}}
{{- end -}}
{{- end -}}
{{- range $path := list "extend.api_key" "kafka.password" -}}
{{- $parts := splitList "." $path -}}
{{- if dig (first $parts) (last $parts) "" $config -}}
{{- fail (printf "config.%s stands in a ConfigMap, which is no place for a secret: put it into the Secret of secrets.existingSecret and name its file with config.%s_file." $path $path) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := dig "kafka" "properties" dict $config -}}
{{- if or (regexMatch "(?i)password|secret" $name) (eq $name "ssl.key.pem") -}}
{{- fail (printf "config.kafka.properties.%s stands in a ConfigMap, which is no place for a secret: put it into the Secret of secrets.existingSecret; name the file of a SASL password with config.kafka.password_file, and use a key file without a password for TLS." $name) -}}
{{- end -}}
{{- end -}}
{{- if dig "webhook" "secrets" "" $config -}}
{{- fail "config.webhook.secrets stands in a ConfigMap, which is no place for a secret: put it into the Secret of secrets.existingSecret and name its file in config.webhook.secret_files." -}}
{{- end -}}
{{- if eq (include "connector.adminPort" .) "0" -}}
{{- fail "config.admin.port is 0, a port that nobody knows beforehand: the probes and Prometheus need a fixed one." -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- if eq (include "connector.adminPort" .) (include "connector.webhookPort" .) -}}
{{- fail "config.admin.port and config.webhook.port are equal, but worker and webhook sidecar share one network: choose two ports." -}}
{{- end -}}
{{- if has (int .Values.webhook.adminPort) (list (include "connector.adminPort" . | int) (include "connector.webhookPort" . | int)) -}}
{{- fail "webhook.adminPort is a port of the worker or of the webhook itself, and they share one network: choose another." -}}
{{- end -}}
{{- $tag := include "connector.tag" . | trimPrefix "v" -}}
{{- $version := regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+" $tag -}}
{{- if and $version (not .Values.image.digest) -}}
{{- if semverCompare "<0.2.0-0" $tag -}}
{{- fail (printf "webhook.enabled: image version %s has no command `webhook`; it comes with 0.2.0. Set webhook.enabled to false, or image.tag to 0.2.0 or later." $tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Pods of the hooks. The Job that makes topics comes before everything else, so it brings copies of the configuration and of the
inline secrets with it, and runs as nobody.
*/}}
{{- define "connector.hookName" -}}
{{- include "connector.fullname" . }}-topics
{{- end -}}

{{- define "connector.topicsCommand" -}}
{{- $command := list "topics" "--config" "/etc/extend-connector/connector.yaml" "--create" -}}
{{- if .Values.topics.createInputs -}}{{- $command = append $command "--input" -}}{{- end -}}
{{- if .Values.topics.partitions -}}{{- $command = concat $command (list "--partitions" (.Values.topics.partitions | toString)) -}}{{- end -}}
{{- if .Values.topics.replicationFactor -}}{{- $command = concat $command (list "--replication-factor" (.Values.topics.replicationFactor | toString)) -}}{{- end -}}
{{- toJson $command -}}
{{- end -}}

{{/* What `helm test` runs, one after the other: the configuration is valid; brokers, rights, topics, schemas and key are right. */}}
{{- define "connector.testCommands" -}}
check: [check, --config, /etc/extend-connector/connector.yaml]
doctor: [doctor, --config, /etc/extend-connector/connector.yaml
  {{- if .Values.webhook.enabled }}, --url, {{ printf "http://%s-webhook:%v/webhooks/extend" (include "connector.fullname" .) .Values.webhook.servicePort | quote }}{{ end }}]
{{- end -}}

{{/* Where the doctor has the Secret of webhook pods, whose files it needs beside those of the workers. */}}
{{- define "connector.testWebhookSecret" -}}
{{- if include "connector.webhookAlone" . -}}{{- .Values.webhook.existingSecret -}}{{- end -}}
{{- end -}}

{{- define "connector.testWebhookPath" -}}
/run/secrets/webhook
{{- end -}}

{{/* The signing secret as the webhook has it, as a JSON list of variables. */}}
{{- define "connector.testEnv" -}}
{{- $env := list -}}
{{- if .Values.webhook.enabled -}}
{{- range .Values.webhook.extraEnv -}}
{{- if has .name (list "EXTEND_WEBHOOK_SECRET" "CONNECTOR__WEBHOOK__SECRETS" "CONNECTOR__WEBHOOK__SECRET_FILES") -}}
{{- $variable := deepCopy . -}}
{{- if and .value (include "connector.testWebhookSecret" $) -}}
{{- $_ := set $variable "value" (replace $.Values.secrets.mountPath (include "connector.testWebhookPath" $) .value) -}}
{{- end -}}
{{- $env = append $env $variable -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $env -}}
{{- end -}}

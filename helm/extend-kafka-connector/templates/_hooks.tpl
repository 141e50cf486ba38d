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
doctor: [doctor, --config, /etc/extend-connector/connector.yaml]
{{- end -}}

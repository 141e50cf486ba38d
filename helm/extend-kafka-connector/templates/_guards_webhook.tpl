{{/* Guards about webhooks, and about objects that would be made and not work. */}}
{{- define "connector.guards.webhook" -}}
{{- $webhook := .Values.webhook -}}
{{- $config := include "connector.settings" . | fromJson -}}
{{- if $webhook.enabled -}}
{{- if and (not (dig "webhook" "secret_files" list $config)) (not (include "connector.guards.hasEnv" (dict "root" . "names" (list "EXTEND_WEBHOOK_SECRET" "CONNECTOR__WEBHOOK__SECRETS" "CONNECTOR__WEBHOOK__SECRET_FILES") "more" $webhook.extraEnv))) -}}
{{- fail (printf "webhook.enabled without a signing secret: every webhook would be refused. Put it into the Secret, and name its file: config.webhook.secret_files: [%s/extend-webhook-secret]." .Values.secrets.mountPath) -}}
{{- end -}}
{{- if eq (include "connector.webhookPort" .) "0" -}}
{{- fail "config.webhook.port is 0, a port that nobody knows beforehand: the Service needs a fixed one." -}}
{{- end -}}
{{- if eq (include "connector.adminPort" .) (include "connector.webhookPort" .) -}}
{{- fail "config.admin.port and config.webhook.port are equal, but worker and webhook sidecar share one network: choose two ports." -}}
{{- end -}}
{{- if has (int $webhook.adminPort) (list (include "connector.adminPort" . | int) (include "connector.webhookPort" . | int)) -}}
{{- fail "webhook.adminPort is a port of the worker or of the webhook itself, and they share one network: choose another." -}}
{{- end -}}
{{- end -}}
{{- if and $webhook.existingSecret (ne $webhook.mode "deployment") -}}
{{- fail "webhook.existingSecret needs webhook.mode: deployment: a sidecar mounts the Secret of its worker. Set the mode, or put the file into secrets.existingSecret." -}}
{{- end -}}
{{- range $name := list "ingress" "httpRoute" "certificate" -}}
{{- if and (index $webhook $name).enabled (not $webhook.enabled) -}}
{{- fail (printf "webhook.%s.enabled, but webhook.enabled is not: there is nothing to lead to. Enable webhooks, or not this." $name) -}}
{{- end -}}
{{- end -}}
{{- if and $webhook.ingress.enabled (not $webhook.ingress.hosts) -}}
{{- fail "webhook.ingress.hosts is empty: the Ingress would answer for every host of the cluster. Name the one that Extend calls." -}}
{{- end -}}
{{- if and $webhook.httpRoute.enabled (not (and $webhook.httpRoute.parentRefs $webhook.httpRoute.hostnames)) -}}
{{- fail "webhook.httpRoute needs parentRefs and hostnames: without them no gateway takes it, or it takes every host. Name both." -}}
{{- end -}}
{{- if $webhook.certificate.enabled -}}
{{- if not $webhook.certificate.issuer -}}
{{- fail "webhook.certificate.issuer is empty: name the issuer that cert-manager shall ask." -}}
{{- end -}}
{{- if not (or $webhook.ingress.hosts $webhook.httpRoute.hostnames) -}}
{{- fail "webhook.certificate has no host: name one in webhook.ingress.hosts or webhook.httpRoute.hostnames." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "connector.guards.objects" -}}
{{- if and .Values.topics.createInputs (not .Values.topics.create) -}}
{{- fail "topics.createInputs does nothing without topics.create: set both, or neither." -}}
{{- end -}}
{{- if and .Values.topics.create .Values.strimzi.enabled -}}
{{- fail "topics.create and strimzi.enabled exclude each other: the Job runs before the KafkaUser is made, and that user may not create topics. Make the topics as KafkaTopics or with `extend-connector topics --create` and another user, and set topics.create to false." -}}
{{- end -}}
{{- if and .Values.strimzi.enabled (not .Values.strimzi.cluster) -}}
{{- fail "strimzi.cluster is empty: name the Kafka resource whose user operator shall make the user." -}}
{{- end -}}
{{- end -}}

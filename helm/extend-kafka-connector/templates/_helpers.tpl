{{/* Name of all objects; short enough for every suffix that follows. */}}
{{- define "connector.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "connector.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "connector.ownLabels" -}}
{{ include "connector.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "connector.labels" -}}
{{ include "connector.ownLabels" . }}
{{- include "connector.commonLabels" . }}
{{- end -}}

{{/* Each label once: `own` wins over `more`, which is nearer, and that over the user's common ones. */}}
{{- define "connector.mergedLabels" -}}
{{- toYaml (merge dict .own .more (include "connector.commonLabels" .root | fromYaml)) -}}
{{- end -}}

{{/* The user's labels, without those that are ours: a selector must not change. */}}
{{- define "connector.commonLabels" -}}
{{- range $name, $value := .Values.commonLabels }}
{{- if not (or (hasPrefix "app.kubernetes.io/" $name) (eq $name "helm.sh/chart")) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "connector.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (include "connector.tag" .) -}}
{{- end -}}
{{- end -}}

{{- define "connector.tag" -}}
{{- default .Chart.AppVersion .Values.image.tag -}}
{{- end -}}

{{- define "connector.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "connector.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "connector.secretName" -}}
{{- default (include "connector.fullname" .) .Values.secrets.existingSecret -}}
{{- end -}}

{{/* The connector's configuration as it was given: text, or a mapping. */}}
{{- define "connector.config" -}}
{{- if .Values.configText -}}
{{- .Values.configText | trim -}}
{{- else -}}
{{- toYaml .Values.config -}}
{{- end -}}
{{- end -}}

{{/* The same as JSON for the templates, without sections that have nothing below them. */}}
{{- define "connector.settings" -}}
{{- $settings := dict -}}
{{- range $name, $section := include "connector.config" . | fromYaml -}}
{{- if not (kindIs "invalid" $section) -}}{{- $_ := set $settings $name $section -}}{{- end -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{/* Ports come from the connector's configuration, so that they are written once. */}}
{{- define "connector.adminPort" -}}
{{- include "connector.settings" . | fromJson | dig "admin" "port" 8080 | int -}}
{{- end -}}

{{- define "connector.webhookPort" -}}
{{- include "connector.settings" . | fromJson | dig "webhook" "port" 8081 | int -}}
{{- end -}}

{{/* Whether webhooks are taken by pods of their own. */}}
{{- define "connector.webhookAlone" -}}
{{- if and .Values.webhook.enabled (eq .Values.webhook.mode "deployment") -}}true{{- end -}}
{{- end -}}

{{- define "connector.webhookSidecar" -}}
{{- if and .Values.webhook.enabled (eq .Values.webhook.mode "sidecar") -}}true{{- end -}}
{{- end -}}

{{/* The component whose pods take webhooks. */}}
{{- define "connector.webhookComponent" -}}
{{- ternary "webhook" "worker" (eq .Values.webhook.mode "deployment") -}}
{{- end -}}

{{/* How many workers there can be at most. */}}
{{- define "connector.mostWorkers" -}}
{{- ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- end -}}

{{/*
Which names the pods of a Deployment get whose name is given, as a pattern: <name>-<hash>-<5 characters>. Kubernetes cuts
what is before the last five to 58 characters: a long name loses that dash, then the hash of up to ten, then its own end.
*/}}
{{- define "connector.podPattern" -}}
{{- printf "%s-" . | trunc 58 }}{{ ternary "[a-z0-9]+-" "[a-z0-9]*-?" (le (len .) 46) }}[a-z0-9]{5}
{{- end -}}

{{/* How many workers there are at least. */}}
{{- define "connector.leastWorkers" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- end -}}

{{/* The input topics of the routes, as a JSON list. */}}
{{- define "connector.inputTopics" -}}
{{- $topics := list -}}
{{- range $name, $route := (include "connector.settings" . | fromJson).routes -}}
{{- $topic := $name -}}
{{- if kindIs "map" $route -}}{{- $topic = default $name $route.topic -}}{{- end -}}
{{- $topics = append $topics $topic -}}
{{- end -}}
{{- $topics | uniq | sortAlpha | toJson -}}
{{- end -}}

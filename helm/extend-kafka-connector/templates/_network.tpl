{{/* Where the pods go: what the network policies of both flavours are made of. */}}

{{- define "connector.apiUrl" -}}
{{- include "connector.settings" . | fromJson | dig "extend" "base_url" "https://api.extend.ai" -}}
{{- end -}}

{{- define "connector.apiHost" -}}
{{- regexReplaceAll ":[0-9]+$" (include "connector.apiUrl" . | urlParse).host "" -}}
{{- end -}}

{{- define "connector.portOf" -}}
{{- $url := urlParse . -}}
{{- default (ternary "80" "443" (eq $url.scheme "http")) (regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host)) -}}
{{- end -}}

{{- define "connector.apiPort" -}}
{{- include "connector.portOf" (include "connector.apiUrl" .) -}}
{{- end -}}

{{/* The port of the schema registry; nothing where there is none. */}}
{{- define "connector.registryPort" -}}
{{- with include "connector.settings" . | fromJson | dig "schema_registry" "url" "" -}}
{{- include "connector.portOf" . -}}
{{- end -}}
{{- end -}}

{{/* The ports of the brokers, as a JSON list of numbers. */}}
{{- define "connector.kafkaPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.kafkaPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- if not $ports -}}
{{- range splitList "," (include "connector.settings" . | fromJson | dig "kafka" "bootstrap_servers" "") -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" (trim .)) | default "9092" | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Egress to DNS and to the brokers, which every component has. */}}
{{- define "connector.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- ports:
    {{- range include "connector.kafkaPorts" . | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.kafkaTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Ingress to the admin port: from inside of the cluster only. */}}
{{- define "connector.adminIngress" -}}
- ports:
    - {port: {{ .port }}, protocol: TCP}
  from:
    {{- if .root.Values.networkPolicy.monitoringFrom }}
    {{- toYaml .root.Values.networkPolicy.monitoringFrom | nindent 4 }}
    {{- else }}
    - namespaceSelector: {}
    {{- end }}
{{- end -}}

{{/* Ports by number: the name of a sidecar's port means nothing before Kubernetes 1.32. */}}
{{- define "connector.webhookIngress" -}}
{{ include "connector.adminIngress" (dict "root" . "port" .Values.webhook.adminPort) }}
- ports:
    - {port: {{ include "connector.webhookPort" . }}, protocol: TCP}
  {{- with .Values.networkPolicy.webhookFrom }}
  from:
    {{- toYaml . | nindent 4 }}
    # The pod of `helm test`.
    - podSelector:
        matchLabels:
          {{- include "connector.selectorLabels" $ | nindent 10 }}
          app.kubernetes.io/component: test
  {{- end }}
{{- end -}}

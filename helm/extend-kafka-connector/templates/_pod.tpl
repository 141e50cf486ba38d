{{/* What every pod and every container of the connector has in common. */}}

{{/* The rules of the restricted Pod Security Standard, and a root that nobody writes to. */}}
{{- define "connector.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- if .Values.podSecurity.fixedIds }}
runAsGroup: 65532
runAsUser: 65532
{{- end }}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The head of a pod's specification; no account of Kubernetes, and no variables that name other Services. */}}
{{- define "connector.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- if .Values.podSecurity.fixedIds }}
  fsGroup: 65532
  runAsGroup: 65532
  runAsUser: 65532
  {{- end }}
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Image, environment, mounts and security of a container of the connector. `env` and `mounts` hold some of its own. */}}
{{- define "connector.container" -}}
{{- $root := .root -}}
image: {{ include "connector.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  {{- include "connector.containerSecurityContext" $root | nindent 2 }}
{{- with concat (default list .env) $root.Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/extend-connector
    readOnly: true
  - name: secrets
    mountPath: {{ $root.Values.secrets.mountPath }}
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- with concat (default list .mounts) $root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The volumes behind those mounts; `config` and `secret` are the names of the objects. */}}
{{- define "connector.volumes" -}}
- name: config
  configMap:
    name: {{ .config }}
- name: secrets
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod: those of the selectors and the user's. The chart's version is not among them, so that a new chart alone restarts nothing. */}}
{{- define "connector.podLabels" -}}
{{- $own := include "connector.selectorLabels" .root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" .component -}}
{{- include "connector.mergedLabels" (dict "root" .root "own" $own "more" .root.Values.podLabels) -}}
{{- end -}}

{{/* A pod of another configuration is another pod; any other change of the values leaves it alone. */}}
{{- define "connector.podAnnotations" -}}
{{- with .Values.podAnnotations }}
{{- toYaml . }}
{{ end -}}
checksum/config: {{ include "connector.config" . | sha256sum }}
{{- if .Values.secrets.inline }}
checksum/secrets: {{ toYaml .Values.secrets.inline | sha256sum }}
{{- end }}
{{- end -}}

{{/* Over the nodes, where that is possible, unless the user knows better. */}}
{{- define "connector.topologySpread" -}}
{{- if .constraints -}}
{{- toYaml .constraints -}}
{{- else -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "connector.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end -}}
{{- end -}}

{{/* The container that takes webhooks, beside a worker or alone. */}}
{{- define "connector.webhookContainer" -}}
{{- $admin := dict "name" "CONNECTOR__ADMIN__PORT" "value" (.Values.webhook.adminPort | toString) -}}
args: [webhook, --config, /etc/extend-connector/connector.yaml]
{{ include "connector.container" (dict "root" . "env" (concat (list $admin) .Values.webhook.extraEnv)) }}
ports:
  - name: webhook
    containerPort: {{ include "connector.webhookPort" . }}
  - name: webhook-admin
    containerPort: {{ .Values.webhook.adminPort }}
startupProbe:
  tcpSocket:
    port: webhook
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /livez
    port: webhook-admin
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: webhook-admin
  periodSeconds: 5
  timeoutSeconds: 5
resources:
  {{- toYaml .Values.webhook.resources | nindent 2 }}
{{- end -}}

{{/*
What would fail only in production is refused here, with the way out. Every guard has a test that it fires and one that it stays silent.
*/}}
{{- define "connector.guards" -}}
{{- include "connector.guards.secrets" . -}}
{{- include "connector.guards.config" . -}}
{{- include "connector.guards.kafka" . -}}
{{- include "connector.guards.scaling" . -}}
{{- include "connector.guards.webhook" . -}}
{{- include "connector.guards.objects" . -}}
{{- end -}}

{{/* Whether a container of the connector may have one of these environment variables: in extraEnv, or unseen in extraEnvFrom. */}}
{{- define "connector.guards.hasEnv" -}}
{{- if .root.Values.extraEnvFrom -}}true{{- end -}}
{{- range concat .root.Values.extraEnv (default list .more) -}}
{{- if has .name $.names -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the name of a secret looks like: of a variable, with "_" between its words, or of a property, with ".". */}}
{{- define "connector.guards.secretName" -}}
(?i)password|passphrase|secret|key[{{ . }}]pem|(api[{{ . }}]key|token)$
{{- end -}}

{{- define "connector.guards.secrets" -}}
{{- if and .Values.secrets.inline (not .Values.secrets.allowInline) -}}
{{- fail "secrets.inline holds secrets in the values of this release, which Helm stores in the cluster and people commit: put them into a Secret of yours and name it with secrets.existingSecret. For a trial set secrets.allowInline to true." -}}
{{- end -}}
{{- if and .Values.secrets.inline .Values.secrets.existingSecret -}}
{{- fail "secrets.existingSecret and secrets.inline are both set, and only one can be mounted: remove one." -}}
{{- end -}}
{{- if not (or .Values.secrets.inline .Values.secrets.existingSecret) -}}
{{- fail "secrets.existingSecret is empty: make a Secret with the key extend-api-key (and a Kafka password, if the brokers want one), and name it here." -}}
{{- end -}}
{{- range concat .Values.extraEnv .Values.webhook.extraEnv -}}
{{- $file := regexMatch "(?i)_FILES?$" .name -}}
{{- if and (regexMatch (include "connector.guards.secretName" "_") .name) (not $file) (hasKey . "value") -}}
{{- fail (printf "extraEnv holds the value of %s, a secret, for everybody who may read Deployments: put it into the Secret of secrets.existingSecret as a file, or take it from there with valueFrom.secretKeyRef." .name) -}}
{{- end -}}
{{- if regexMatch "://[^/?#]*@" (toString .value) -}}
{{- fail (printf "extraEnv holds an address with a user or password in %s, for everybody who may read Deployments: take it from the Secret with valueFrom.secretKeyRef, or leave the credentials out." .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "connector.guards.config" -}}
{{- $raw := include "connector.config" . | fromYaml -}}
{{- if hasKey $raw "Error" -}}
{{- fail (printf "configText is no YAML mapping (%s): write it as a connector.yaml, or use config." $raw.Error) -}}
{{- end -}}
{{- $config := include "connector.settings" . | fromJson -}}
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
{{- range $path, $file := dict "extend.api_key" "api_key_file" "kafka.password" "password_file" "schema_registry.password" "password_file" "schema_registry.token" "token_file" "webhook.secrets" "secret_files" -}}
{{- $parts := splitList "." $path -}}
{{- if dig (first $parts) (last $parts) "" $config -}}
{{- fail (printf "config.%s stands in a ConfigMap, which is no place for a secret: put it into the Secret of secrets.existingSecret and name its file in config.%s.%s." $path (first $parts) $file) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "://[^/?#]*@" (dig "schema_registry" "url" "" $config | toString) -}}
{{- fail "config.schema_registry.url holds a user or password, and stands in a ConfigMap: take them out, set config.schema_registry.username, and name the file of the password in config.schema_registry.password_file." -}}
{{- end -}}
{{- range $name, $route := $config.routes -}}
{{- if kindIs "map" $route -}}
{{- range $secret, $_ := (default dict $route.create).secrets -}}
{{- fail (printf "config.routes.%s.create.secrets.%s stands in a ConfigMap, which is no place for a secret: take it out, and give it by extraEnv as CONNECTOR__ROUTES__%s__CREATE__secrets__%s with valueFrom.secretKeyRef." $name $secret (regexReplaceAll "[.-]" $name "_" | upper) $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or (dig "extend" "api_key_file" "" $config) (include "connector.guards.hasEnv" (dict "root" . "names" (list "EXTEND_API_KEY" "CONNECTOR__EXTEND__API_KEY" "CONNECTOR__EXTEND__API_KEY_FILE")))) -}}
{{- fail (printf "config.extend.api_key_file is not set, so no worker has an API key: name a file of the Secret, e.g. %s/extend-api-key, or give EXTEND_API_KEY by extraEnv." .Values.secrets.mountPath) -}}
{{- end -}}
{{- if eq (include "connector.adminPort" .) "0" -}}
{{- fail "config.admin.port is 0, a port that nobody knows beforehand: the probes and Prometheus need a fixed one." -}}
{{- end -}}
{{- if has (dig "admin" "host" "" $config) (list "127.0.0.1" "::1" "localhost") -}}
{{- fail "config.admin.host listens inside of the container only, where neither probes nor Prometheus can reach it: remove it." -}}
{{- end -}}
{{- end -}}

{{/* Properties that the connector or librdkafka refuses: the pods would end at once. */}}
{{- define "connector.guards.kafka" -}}
{{- $config := include "connector.settings" . | fromJson -}}
{{- $properties := dig "kafka" "properties" dict $config -}}
{{- range $name, $_ := $properties -}}
{{- if regexMatch (include "connector.guards.secretName" ".") $name -}}
{{- fail (printf "config.kafka.properties.%s stands in a ConfigMap, which is no place for a secret: put it into the Secret of secrets.existingSecret; name the file of a SASL password with config.kafka.password_file, and use a key file without a password for TLS." $name) -}}
{{- end -}}
{{- end -}}
{{- if eq (get $properties "group.protocol" | toString) "consumer" -}}
{{- if dig "kafka" "session_timeout" "" $config -}}
{{- fail "config.kafka.session_timeout has no effect with group.protocol: consumer (KIP-848), where the broker decides: remove it, and set group.consumer.session.timeout.ms at the brokers." -}}
{{- end -}}
{{- range list "session.timeout.ms" "heartbeat.interval.ms" "partition.assignment.strategy" -}}
{{- if hasKey $properties . -}}
{{- fail (printf "config.kafka.properties.%s is refused by librdkafka with group.protocol: consumer (KIP-848), where the broker decides: remove it, or group.protocol." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range list "transactional.id" "client.id" "group.id" "isolation.level" "enable.auto.commit" "enable.auto.offset.store" "auto.offset.reset" "enable.idempotence" "acks" "bootstrap.servers" "metadata.broker.list" "transaction.timeout.ms" "session.timeout.ms" -}}
{{- if hasKey $properties . -}}
{{- fail (printf "config.kafka.properties.%s is refused by the connector, because its guarantees stand on its own value: remove it. docs/configuration.md, \"Properties that are refused\", says what to set instead." .) -}}
{{- end -}}
{{- end -}}
{{- if has "GSSAPI" (list (get $properties "sasl.mechanism" | toString) (get $properties "sasl.mechanisms" | toString)) -}}
{{- fail "config.kafka.properties asks for Kerberos (GSSAPI), which the librdkafka of the image does not have: use SCRAM, PLAIN, OAUTHBEARER or TLS certificates." -}}
{{- end -}}
{{- end -}}

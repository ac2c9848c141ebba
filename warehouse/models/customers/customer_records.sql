-- One row per company record that lives in its tool, with the customer it belongs to now.
-- key: tool, record_type, record_id
-- tool text: The tool that holds the record.
-- record_type text: account (Salesforce, Pendo) or organization (Zendesk).
-- record_id text: The record's id in its tool.
-- customer_id text: The customer.
-- name text: The company's name, as that tool has it.
-- domain text: Registrable domain of the record's host, if it is a company's or our own; else null.
-- internal boolean: Whether the domain is one of our own, by the settings.
-- parent_id text: Id of the record in the same tool that this one belongs to.
-- owner_id text: Person in the same tool who owns the record.
-- segment text: Segment, from the field that the settings name.
-- arr decimal: Annual recurring revenue in the reporting currency, from the field that the settings name.
-- method text: How the record was found to be this customer's: override, declared_id, domain, contact_domain, name, or
--   alone.
-- score double: How sure that is, 0 to 1.
-- created_at timestamp: When the record was created (UTC), in Pendo when somebody of it was first seen.
-- url text: Address of the record in its tool; null in Pendo.
select
    record.tool,
    record.record_type,
    record.record_id,
    link.customer_id,
    record.name,
    case when place.kind in ('company', 'internal') then place.registrable end as domain,
    coalesce(place.kind = 'internal', false) as internal,
    record.parent_id,
    record.owner_id,
    record.segment,
    record.arr,
    link.method,
    link.score,
    record.created_at,
    record.url
from unified.customer_links as link
join unified.records as record
    on record.tool = link.tool and record.record_type = link.record_type and record.record_id = link.record_id
left join sync.domains as place on place.host = record.host
where link.valid_to is null and not record.deleted

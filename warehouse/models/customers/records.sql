-- One row per company record of any tool, deleted ones included: what tells which records are the same customer.
-- key: tool, record_type, record_id
-- tool text: The tool that holds the record.
-- record_type text: account (Salesforce, Pendo) or organization (Zendesk).
-- record_id text: The record's id in its tool.
-- name text: The company's name, as that tool has it.
-- host text: Bare host in lower case, from the website or the first domain name; null if none is given.
-- country text: Country, as that tool has it.
-- parent_id text: Id of the record in the same tool that this one belongs to.
-- declared_tool text: The tool that declared_id points into.
-- declared_id text: Id of a record in another tool that somebody declared to be the same company, as typed; of a Pendo
--   account also its own id, if that is of the form that Salesforce's accounts have.
-- deleted boolean: Whether the record is deleted in its tool.
-- owner_id text: Person in the same tool who owns the record.
-- segment text: Segment, from the field that the settings name.
-- arr decimal: Annual recurring revenue in the reporting currency, from the field that the settings name.
-- created_at timestamp: When the record was created (UTC), in Pendo when somebody of it was first seen.
-- url text: Address of the record in its tool; null in Pendo.
with named as (
    select
        'salesforce' as tool,
        'account' as record_type,
        account.id as record_id,
        account.name,
        account.website as address,
        account.billing_country as country,
        account.parent_id,
        cast(null as text) as declared_tool,
        cast(null as text) as declared_id,
        account._deleted_at is not null as deleted,
        account.owner_id,
        account.segment,
        account.arr,
        account.created_date as created_at,
        '/' || account.id as path
    from salesforce.accounts as account
    union all
    select
        'zendesk' as tool,
        'organization' as record_type,
        cast(organization.id as text) as record_id,
        organization.name,
        json_extract_string(cast(organization.domain_names as json), '$[0]') as address,
        cast(null as text) as country,
        cast(null as text) as parent_id,
        'salesforce' as declared_tool,
        coalesce(nullif(trim(organization.salesforce_id, ' '), ''), organization.external_id) as declared_id,
        organization._deleted_at is not null as deleted,
        cast(null as text) as owner_id,
        cast(null as text) as segment,
        cast(null as decimal(18, 2)) as arr,
        organization.created_at,
        '/agent/organizations/' || cast(organization.id as text) as path
    from zendesk.organizations as organization
    union all
    select
        'pendo' as tool,
        'account' as record_type,
        account.account_id as record_id,
        account.name,
        cast(null as text) as address,
        cast(null as text) as country,
        cast(null as text) as parent_id,
        'salesforce' as declared_tool,
        -- The application chooses the id: most give Salesforce's, the others mean nothing outside of it.
        coalesce(
            nullif(trim(account.salesforce_id, ' '), ''),
            case
                when regexp_matches(account.account_id, '^001[0-9A-Za-z]{12}([0-9A-Za-z]{3})?$') then account.account_id
            end
        ) as declared_id,
        account._deleted_at is not null as deleted,
        cast(null as text) as owner_id,
        cast(null as text) as segment,
        cast(null as decimal(18, 2)) as arr,
        account.first_visit as created_at,
        cast(null as text) as path
    from pendo.accounts as account
),

-- https://www.example.com:443/path?query → www.example.com; e-mail addresses give what follows the @
located as (
    select
        named.tool,
        named.record_type,
        named.record_id,
        regexp_replace(lower(trim(named.address, ' ')), '^[a-z][a-z0-9+.-]*://', '') as location
    from named
),

hosted as (
    select
        located.tool,
        located.record_type,
        located.record_id,
        split_part(split_part(split_part(located.location, '/', 1), '?', 1), '#', 1) as authority
    from located
)

select
    named.tool,
    named.record_type,
    named.record_id,
    named.name,
    nullif(rtrim(split_part(regexp_replace(hosted.authority, '^[^@]*@', ''), ':', 1), '.'), '') as host,
    named.country,
    named.parent_id,
    case when nullif(trim(named.declared_id, ' '), '') is not null then named.declared_tool end as declared_tool,
    nullif(trim(named.declared_id, ' '), '') as declared_id,
    named.deleted,
    named.owner_id,
    nullif(trim(named.segment, ' '), '') as segment,
    named.arr,
    named.created_at,
    rtrim(place.url, '/') || named.path as url
from named
join hosted
    on hosted.tool = named.tool and hosted.record_type = named.record_type and hosted.record_id = named.record_id
left join settings.tools as place on place.tool = named.tool

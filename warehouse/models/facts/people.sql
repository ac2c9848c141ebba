-- One row per person whom a tool knows, colleagues and customers' people alike.
-- key: tool, person_id
-- tool text: The tool that knows the person.
-- person_id text: The person's id in that tool; a keyed hash of it where a customer's person is known by an address.
-- email text: E-mail address in lower case; null if hidden or not given. Of customers' people a keyed hash of it, the
--   same for the same address, unless the settings keep it or drop it (privacy.unified).
-- role text: contact (Salesforce), end-user (Zendesk, Pendo, customers of Jira's service desk), agent or admin (Zendesk,
--   as of now), or user (a colleague).
-- record_id text: The company record in the same tool that the person belongs to; null for colleagues. Who visits for
--   several of Pendo's accounts, or for none, belongs to nobody and is left out.
-- name text: Full name; of customers' people as with email.
-- active boolean: Whether the person is still there: not deleted, and for colleagues able to log in.
-- host text: What follows the @ of the e-mail address, in lower case; null without one.
with known as (
    select
        'salesforce' as tool,
        contact.id as person_id,
        contact.email,
        'contact' as role,
        contact.account_id as record_id,
        concat_ws(' ', contact.first_name, contact.last_name) as name,
        contact._deleted_at is null as active
    from salesforce.contacts as contact
    union all
    select
        'salesforce' as tool,
        colleague.id as person_id,
        colleague.email,
        'user' as role,
        cast(null as text) as record_id,
        colleague.name,
        colleague._deleted_at is null and coalesce(colleague.is_active, true) as active
    from salesforce.users as colleague
    union all
    select
        'zendesk' as tool,
        cast(person.id as text) as person_id,
        person.email,
        person.role,
        cast(person.organization_id as text) as record_id,
        person.name,
        person._deleted_at is null and coalesce(person.active, true) as active
    from zendesk.users as person
    union all
    select
        'pendo' as tool,
        visitor.visitor_id as person_id,
        coalesce(
            nullif(trim(visitor.email, ' '), ''),
            case when regexp_matches(visitor.visitor_id, '^[^@ ]+@[^@ ]+$') then visitor.visitor_id end
        ) as email,
        'end-user' as role,
        json_extract_string(cast(visitor.account_ids as json), '$[0]') as record_id,
        visitor.full_name as name,
        visitor._deleted_at is null as active
    from pendo.visitors as visitor
    where
        json_extract_string(cast(visitor.account_ids as json), '$[0]') is not null
        and json_extract_string(cast(visitor.account_ids as json), '$[1]') is null
    union all
    select
        'jira' as tool,
        mention.person_id,
        max(mention.email) as email,
        case when max(account.account_type) = 'customer' then 'end-user' else 'user' end as role,
        cast(null as text) as record_id,
        max(mention.name) as name,
        true as active
    from (
        select issue.assignee_account_id as person_id, issue.assignee_email as email, issue.assignee_name as name
        from jira.issues as issue
        union all
        select issue.reporter_account_id as person_id, issue.reporter_email as email, issue.reporter_name as name
        from jira.issues as issue
    ) as mention
    left join jira.users as account on account.account_id = mention.person_id
    where mention.person_id is not null
    group by mention.person_id
),

told as (
    select
        known.tool,
        known.person_id,
        nullif(lower(trim(known.email, ' ')), '') as email,
        known.role,
        known.record_id,
        nullif(trim(known.name, ' '), '') as name,
        known.active,
        hidden.people,
        hidden.people_key
    from known
    -- Colleagues are named: a gap says who can close it.
    left join settings.options as hidden
        on hidden.people <> 'keep' and coalesce(known.role, '') not in ('user', 'agent', 'admin')
)

select
    told.tool,
    case
        when told.people is null or strpos(told.person_id, '@') = 0 then told.person_id
        else left(sha256(told.people_key || told.person_id), 16)
    end as person_id,
    case
        when told.people is null then told.email
        when told.people = 'hash' then left(sha256(told.people_key || told.email), 16)
    end as email,
    told.role,
    told.record_id,
    case
        when told.people is null then told.name
        when told.people = 'hash' then left(sha256(told.people_key || told.name), 16)
    end as name,
    told.active,
    nullif(split_part(told.email, '@', 2), '') as host
from told

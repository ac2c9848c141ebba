-- One row per customer with a record that lives in some tool: who it is and what it pays.
-- key: customer_id
-- customer_id text: The customer; the id never changes.
-- name text: Name, from the Salesforce account, else the Zendesk organization, else the Pendo account.
-- domain text: Registrable domain of the company's website; null if it has none of its own.
-- lifecycle text: internal (our own), paying (arr or a running term), churned (a term ended, none runs), else prospect.
-- segment text: Segment, from the field that the settings name, else by the settings' bands of arr; null if unknown.
-- arr decimal: Annual recurring revenue: the field that the settings name, else the won deals whose term runs today.
-- currency text: Currency of arr, the reporting currency.
-- renewal_date date: Close date of the last won deal + 12 months, until contracts are read; null if never won.
-- owner_name text: Name of the active owner of the Salesforce account; null if there is none.
-- owner_email text: E-mail address of that person.
-- parent_customer_id text: The customer that this one belongs to, by the accounts' parents.
-- salesforce_accounts integer: Salesforce accounts that are this customer.
-- zendesk_organizations integer: Zendesk organizations that are this customer.
-- identity_method text: How its records were found to be one: the least sure of override, declared_id, domain,
--   contact_domain and name; alone for one record.
-- identity_score double: How sure that is, 0 to 1; null for one record.
-- first_seen_at timestamp: When its first record was created in any tool (UTC).
-- url text: Address of the record that the name is from; null in Pendo.
-- pendo_accounts integer: Pendo accounts that are this customer.
with ranked as (
    select
        record.customer_id,
        record.tool,
        record.record_type,
        record.record_id,
        record.name,
        record.domain,
        record.segment,
        record.url,
        owner.name as owner_name,
        owner.email as owner_email,
        case when parent.customer_id <> record.customer_id then parent.customer_id end as parent_customer_id,
        row_number() over (
            partition by record.customer_id
            order by
                case record.tool when 'salesforce' then 1 when 'zendesk' then 2 else 3 end,
                case when minted.anchor_id = record.record_id then 1 else 2 end,
                record.created_at nulls last,
                record.record_id
        ) as place
    from unified.customer_records as record
    left join sync.customer_ids as minted
        on minted.customer_id = record.customer_id
        and minted.anchor_tool = record.tool
        and minted.anchor_type = record.record_type
    left join unified.customer_records as parent
        on parent.tool = record.tool
        and parent.record_type = record.record_type
        and parent.record_id = record.parent_id
    left join unified.people as owner
        on owner.tool = record.tool and owner.person_id = record.owner_id and owner.active
),

-- What the first record lacks comes from the next one that has it.
sources as (
    select
        ranked.customer_id,
        min(case when ranked.name is not null then ranked.place end) as name_place,
        min(case when ranked.domain is not null then ranked.place end) as domain_place,
        min(case when ranked.segment is not null then ranked.place end) as segment_place,
        min(
            case when ranked.owner_name is not null or ranked.owner_email is not null then ranked.place end
        ) as owner_place,
        min(case when ranked.parent_customer_id is not null then ranked.place end) as parent_place
    from ranked
    group by ranked.customer_id
),

described as (
    select
        ranked.customer_id,
        max(case when ranked.place = sources.name_place then ranked.name end) as name,
        max(case when ranked.place = 1 then ranked.url end) as url,
        max(case when ranked.place = sources.domain_place then ranked.domain end) as domain,
        max(case when ranked.place = sources.segment_place then ranked.segment end) as segment,
        max(case when ranked.place = sources.owner_place then ranked.owner_name end) as owner_name,
        max(case when ranked.place = sources.owner_place then ranked.owner_email end) as owner_email,
        max(case when ranked.place = sources.parent_place then ranked.parent_customer_id end) as parent_customer_id
    from ranked
    join sources on sources.customer_id = ranked.customer_id
    group by ranked.customer_id
),

counted as (
    select
        record.customer_id,
        count(*) filter (where record.tool = 'salesforce' and record.record_type = 'account') as salesforce_accounts,
        count(*) filter (where record.tool = 'zendesk' and record.record_type = 'organization')
            as zendesk_organizations,
        count(*) filter (where record.tool = 'pendo' and record.record_type = 'account') as pendo_accounts,
        bool_or(record.internal) as internal,
        sum(record.arr) as arr_by_field,
        min(case when record.method <> 'alone' then record.score end) as least_score,
        min(record.created_at) as first_seen_at
    from unified.customer_records as record
    group by record.customer_id
),

joined as (
    select
        record.customer_id,
        min(record.method) as method
    from unified.customer_records as record
    join counted on counted.customer_id = record.customer_id and counted.least_score = record.score
    where record.method <> 'alone'
    group by record.customer_id
),

-- A term of 12 months is worth its amount a year; other lengths come with contracts.
won as (
    select
        deal.customer_id,
        count(*) filter (where deal.term_start <= clock.today and deal.term_end > clock.today) as terms_running,
        count(*) filter (where deal.term_end <= clock.today) as terms_ended,
        sum(deal.amount) filter (where deal.term_start <= clock.today and deal.term_end > clock.today)
            as amount_running,
        max(deal.term_end) as last_term_end
    from unified.deals as deal
    cross join settings.clock as clock
    where deal.is_won and deal.customer_id is not null
    group by deal.customer_id
),

valued as (
    select
        counted.customer_id,
        case
            when counted.arr_by_field is not null then counted.arr_by_field
            when won.terms_running > 0 then won.amount_running
            when won.customer_id is not null then cast(0 as decimal(18, 2))
        end as arr,
        coalesce(won.terms_running, 0) as terms_running,
        coalesce(won.terms_ended, 0) as terms_ended,
        won.last_term_end
    from counted
    left join won on won.customer_id = counted.customer_id
),

banded as (
    select
        valued.customer_id,
        band.segment,
        row_number() over (partition by valued.customer_id order by band.arr_from desc nulls last) as place
    from valued
    join settings.segments as band on band.arr_from <= valued.arr
)

select
    described.customer_id,
    described.name,
    described.domain,
    case
        when counted.internal then 'internal'
        when valued.arr > 0 or valued.terms_running > 0 then 'paying'
        when valued.terms_ended > 0 then 'churned'
        else 'prospect'
    end as lifecycle,
    coalesce(described.segment, banded.segment) as segment,
    valued.arr,
    options.currency,
    valued.last_term_end as renewal_date,
    described.owner_name,
    described.owner_email,
    described.parent_customer_id,
    counted.salesforce_accounts,
    counted.zendesk_organizations,
    coalesce(joined.method, 'alone') as identity_method,
    counted.least_score as identity_score,
    counted.first_seen_at,
    described.url,
    counted.pendo_accounts
from described
join counted on counted.customer_id = described.customer_id
join valued on valued.customer_id = described.customer_id
left join joined on joined.customer_id = described.customer_id
left join banded on banded.customer_id = described.customer_id and banded.place = 1
cross join settings.options as options

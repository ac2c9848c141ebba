-- One row per opportunity that is not deleted: open, won and lost.
-- key: tool, deal_id
-- tool text: The tool that holds the deal.
-- deal_id text: The deal's id in its tool.
-- customer_id text: The customer who would buy, by the deal's account; null without an account.
-- account_id text: Id of the deal's account.
-- name text: The deal's name.
-- type text: Kind of deal, such as New Business or Renewal.
-- owner_id text: Id of the user who owns the deal.
-- owner_name text: Name of the person who owns the deal.
-- owner_email text: E-mail address of that person.
-- stage text: Stage, as the sales process names it.
-- forecast_category text: Forecast category, such as Pipeline, MostLikely or Closed.
-- probability double: Probability of winning, in percent.
-- amount decimal: Amount in the reporting currency; null if unknown or not to be converted.
-- currency text: The reporting currency.
-- original_amount decimal: Amount as the deal states it.
-- original_currency text: Currency that the deal states it in; the reporting currency where the tool has only one.
-- amount_weighted decimal: amount × probability / 100, in the reporting currency.
-- is_open boolean: Whether it is neither won nor lost, whatever its forecast category.
-- is_won boolean: Whether it is won.
-- is_lost boolean: Whether it is closed and not won.
-- created_at timestamp: When the deal was created (UTC).
-- created_on date: The day of that, in the settings' time zone.
-- close_date date: Day on which it is expected to close, or closed.
-- days_to_close integer: Days from created_on to close_date, 0 if it was entered afterwards; null while open.
-- term_start date: First day of what was won, the close date; null unless won.
-- term_end date: First day after what was won: 12 months on, until contracts are read; null unless won.
-- loss_reason text: Why the deal was lost, from the field that the settings name.
-- has_blocker boolean: Whether the field for the blocking feature, which the settings name, is filled.
-- blocker text: What stands in that field.
-- blocker_issue_id text: The issue that it means; null if it names none that exists.
-- blocker_issue_key text: Key of that issue.
-- blocker_feature_id text: The feature which that issue serves.
-- loss_issue_id text: The issue for lack of which it was lost: the one that the loss reason means, else the blocker's.
-- loss_feature_id text: The feature which that issue serves.
-- next_step text: The next step, in the seller's words.
-- url text: Address of the deal in its tool.
with priced as (
    select
        deal.id,
        case
            when coalesce(deal.currency_iso_code, options.currency) = options.currency then deal.amount
        end as amount,
        options.currency,
        coalesce(deal.currency_iso_code, options.currency) as original_currency,
        coalesce(deal.is_won, false) as is_won,
        coalesce(deal.is_closed, false) and not coalesce(deal.is_won, false) as is_lost,
        cast(deal.created_date at time zone clock.timezone as date) as created_on
    from salesforce.opportunities as deal
    cross join settings.options as options
    cross join settings.clock as clock
    where deal._deleted_at is null
)

select
    'salesforce' as tool,
    deal.id as deal_id,
    account.customer_id,
    deal.account_id,
    deal.name,
    deal.type,
    deal.owner_id,
    owner.name as owner_name,
    owner.email as owner_email,
    deal.stage_name as stage,
    deal.forecast_category,
    deal.probability,
    priced.amount,
    priced.currency,
    deal.amount as original_amount,
    priced.original_currency,
    cast(priced.amount * cast(deal.probability as decimal(7, 4)) * 0.01 as decimal(18, 2)) as amount_weighted,
    not priced.is_won and not priced.is_lost as is_open,
    priced.is_won,
    priced.is_lost,
    deal.created_date as created_at,
    priced.created_on,
    deal.close_date,
    case
        when not priced.is_won and not priced.is_lost then null
        when deal.close_date < priced.created_on then 0
        else deal.close_date - priced.created_on
    end as days_to_close,
    case when priced.is_won then deal.close_date end as term_start,
    case when priced.is_won then cast(deal.close_date + interval 12 month as date) end as term_end,
    nullif(trim(deal.loss_reason, ' '), '') as loss_reason,
    blocker.value is not null as has_blocker,
    blocker.value as blocker,
    blocker.issue_id as blocker_issue_id,
    blocker.issue_key as blocker_issue_key,
    blocker.feature_id as blocker_feature_id,
    case when priced.is_lost then coalesce(loss.issue_id, blocker.issue_id) end as loss_issue_id,
    case
        when priced.is_lost and loss.issue_id is not null then loss.feature_id
        when priced.is_lost then blocker.feature_id
    end as loss_feature_id,
    deal.next_step,
    rtrim(place.url, '/') || '/' || deal.id as url
from salesforce.opportunities as deal
join priced on priced.id = deal.id
left join unified.customer_records as account
    on account.tool = 'salesforce' and account.record_type = 'account' and account.record_id = deal.account_id
left join unified.people as owner on owner.tool = 'salesforce' and owner.person_id = deal.owner_id
left join unified.named_issues as blocker
    on blocker.tool = 'salesforce' and blocker.record_id = deal.id and blocker.column_name = 'blocking_feature'
left join unified.named_issues as loss
    on loss.tool = 'salesforce' and loss.record_id = deal.id and loss.column_name = 'loss_reason'
left join settings.tools as place on place.tool = 'salesforce'

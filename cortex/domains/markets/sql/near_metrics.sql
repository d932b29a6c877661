-- Near's daily activity: the mean of each hour's active accounts, and the sums of its transactions and fees.
select
  cast(cast(block_timestamp_hour as date) as varchar) as date,
  avg(unique_from_count) as active,
  sum(transaction_count) as transactions,
  sum(total_fees_native) as fees
from near.stats.ez_core_metrics_hourly
where block_timestamp_hour >= :start and block_timestamp_hour < :end
group by 1
order by 1

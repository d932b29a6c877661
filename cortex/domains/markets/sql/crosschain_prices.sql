-- Daily prices of native coins, by symbol, and of tokens, by address. Hours that were filled in are no prices.
select
  case when is_native then symbol else token_address end as asset,
  cast(cast(hour as date) as varchar) as date,
  min_by(price, hour) as open,
  max(price) as high,
  min(price) as low,
  max_by(price, hour) as close
from crosschain.price.ez_prices_hourly
where not is_imputed
  and price > 0
  and hour >= :start and hour < :end
  and ((is_native and symbol in (:natives)) or (not is_native and token_address in (:tokens)))
group by 1, 2
order by 1, 2

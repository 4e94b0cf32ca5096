package telephony

import "github.com/prometheus/client_golang/prometheus"

// numberMetrics counts what becomes of numbers at the provider.
type numberMetrics struct {
	orders   *prometheus.CounterVec
	released prometheus.Counter
	kept     prometheus.Counter
}

func newNumberMetrics(reg prometheus.Registerer) numberMetrics {
	m := numberMetrics{
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_telephony_number_orders_total", Help: "Purchases of numbers by what became of them: bought, refused, unknown.",
		}, []string{"result"}),
		released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_telephony_numbers_released_total", Help: "Numbers given back to the provider.",
		}),
		kept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_telephony_numbers_kept_total", Help: "Times that a number was due to be given back and was kept because people still call it.",
		}),
	}
	register(reg, m.orders, m.released, m.kept)
	return m
}

// recorderMetrics counts what becomes of recordings.
type recorderMetrics struct {
	fetched *prometheus.CounterVec
	bytes   prometheus.Counter
	deleted *prometheus.CounterVec
}

func newRecorderMetrics(reg prometheus.Registerer) recorderMetrics {
	m := recorderMetrics{
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_telephony_recordings_fetched_total", Help: "Attempts to fetch a recording by result: kept, retry, failed, deleted.",
		}, []string{"result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_telephony_recordings_kept_bytes", Help: "Bytes of recordings that were fetched and kept.",
		}),
		deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_telephony_recordings_deleted_total", Help: "Recordings deleted by why: request, retention, provider.",
		}, []string{"why"}),
	}
	register(reg, m.fetched, m.bytes, m.deleted)
	return m
}

// reconcileMetrics counts what the sweep over the provider's call list did.
type reconcileMetrics struct {
	asked prometheus.Counter
	fixed *prometheus.CounterVec
}

func newReconcileMetrics(reg prometheus.Registerer) reconcileMetrics {
	m := reconcileMetrics{
		asked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_telephony_reconcile_asked_total", Help: "Calls that the provider was asked about.",
		}),
		fixed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_telephony_reconcile_fixed_total", Help: "Calls that the sweep put right: ended, found, lost.",
		}, []string{"how"}),
	}
	register(reg, m.asked, m.fixed)
	return m
}

// register adds collectors to a registry that may be nil.
func register(reg prometheus.Registerer, list ...prometheus.Collector) {
	if reg == nil {
		return
	}
	for _, c := range list {
		reg.MustRegister(c)
	}
}

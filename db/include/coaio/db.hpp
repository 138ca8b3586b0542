// SPDX-License-Identifier: MIT
#pragma once

#include <coaio/db/array.hpp>
#include <coaio/db/batch.hpp>
#include <coaio/db/codec.hpp>
#include <coaio/db/composite.hpp>
#include <coaio/db/connection.hpp>
#include <coaio/db/copy.hpp>
#include <coaio/db/describe.hpp>
#include <coaio/db/error.hpp>
#include <coaio/db/job_queue.hpp>
#include <coaio/db/job_worker.hpp>
#include <coaio/db/json.hpp>
#include <coaio/db/listener.hpp>
#include <coaio/db/migrations.hpp>
#include <coaio/db/observer.hpp>
#include <coaio/db/oid.hpp>
#include <coaio/db/options.hpp>
#include <coaio/db/params.hpp>
#include <coaio/db/pool.hpp>
#include <coaio/db/queries.hpp>
#include <coaio/db/range.hpp>
#include <coaio/db/row.hpp>
#include <coaio/db/stream.hpp>
#include <coaio/db/time.hpp>
#include <coaio/db/transaction.hpp>
#include <coaio/db/values.hpp>
